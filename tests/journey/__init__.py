"""The way of a user from a folder of good pictures to a verdict, through the real command line."""
