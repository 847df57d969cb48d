"""The field table and all that is generated from it: templates for Elasticsearch and OpenSearch."""
