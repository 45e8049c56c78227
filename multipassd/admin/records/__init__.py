"""What `log` shows: the records of the service in the journal, found, read and written out."""
