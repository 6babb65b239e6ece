"""What waits while a task holds no worker."""
