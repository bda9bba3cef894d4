"""Text for the terminal, made of the records that use cases return."""
