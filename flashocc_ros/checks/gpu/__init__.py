"""What anybody with a GPU runs first: is every result right on it, and how fast is it? ``python -m ...checks.gpu``."""
