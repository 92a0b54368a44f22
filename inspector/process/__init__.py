"""The process and its system: streams, signals, cores, threads."""
