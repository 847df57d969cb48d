"""Boards for Kibana, OpenSearch Dashboards and Grafana."""
