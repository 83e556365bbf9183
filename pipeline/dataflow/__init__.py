"""What Dataflow takes beside the code: a container for workers and launcher, a Flex template."""
