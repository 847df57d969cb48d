"""What ``setup`` puts into Elasticsearch and OpenSearch."""
