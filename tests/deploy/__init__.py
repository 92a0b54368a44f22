"""What is delivered in deploy/, with the programs that will read it."""
