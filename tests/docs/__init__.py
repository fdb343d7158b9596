"""The handbook: what in it is written by a program, and whether all of it is true."""
