"""Container images: what goes into one, as data; our own writer of OCI images, and the registry it pushes to."""
