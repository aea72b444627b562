"""C for processors, compiled at run time where it can be."""
