"""The files in deploy/, checked with the programs that read them."""
