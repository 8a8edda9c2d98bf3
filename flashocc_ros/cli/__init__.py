"""The ``flashocc`` command line, one module per command."""
