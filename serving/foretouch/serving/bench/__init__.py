"""``foretouch bench serve``: the servers that are compared, the load on them, and the figures."""
