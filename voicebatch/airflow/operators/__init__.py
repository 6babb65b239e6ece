"""What a DAG is made of."""
