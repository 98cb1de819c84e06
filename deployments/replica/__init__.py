"""The model deployments: a model in a thread of its own, watched for stalls."""
