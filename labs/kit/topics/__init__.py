"""What several labs on one topic share."""
