"""What runs: the servers, two nodes, and the proxy. Begin with ``site.py``."""
