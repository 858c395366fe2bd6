"""Many processes: how they meet, agree, keep checkpoints and send."""
