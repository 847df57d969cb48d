"""Amazon S3: objects named by notices or found by listing, and read whole."""
