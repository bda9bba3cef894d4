"""Use cases on labels: count them, look at them, describe them, review them."""
