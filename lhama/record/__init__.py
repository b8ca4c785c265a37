"""What happened: the run folder, its meters, its energy ledger, and the only file that prints."""
