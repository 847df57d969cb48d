"""Amazon Kinesis: shards read in order, by polling or enhanced fan-out."""
