"""What tests share: servers, deployments, clients."""
