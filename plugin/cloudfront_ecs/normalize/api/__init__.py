"""CloudTrail events of CloudFront become documents: who did what to which distribution."""
