"""The HTTP daemon: scores pictures that a line PC sends."""
