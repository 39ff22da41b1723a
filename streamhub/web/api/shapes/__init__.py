"""What answers look like. No framework here: the command line prints the same shapes without loading the web."""
