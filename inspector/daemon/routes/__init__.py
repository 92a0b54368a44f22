"""The routes of the daemon: one file for each group."""
