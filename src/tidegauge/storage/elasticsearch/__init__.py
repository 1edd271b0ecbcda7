"""The log store on Elasticsearch 8.19 or 9.x: nothing but this package knows its client."""
