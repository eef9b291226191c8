"""The HTTP interface: the front, the routes and their handlers, keys, refusals and metrics."""
