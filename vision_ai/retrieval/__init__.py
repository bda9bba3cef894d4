"""What may be compared with what, and how an index lies on disk: the laws below `index`."""
