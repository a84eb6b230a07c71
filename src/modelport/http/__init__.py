"""Our own HTTP front: protocol, routes, pages."""
