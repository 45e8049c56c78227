"""What one person may cost: connections, work, request memory."""
