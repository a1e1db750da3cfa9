"""Shared parts of the tests: servers, deployments, clients."""
