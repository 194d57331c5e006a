"""What the pipeline costs and reaches, measured through the real `dvc` command."""
