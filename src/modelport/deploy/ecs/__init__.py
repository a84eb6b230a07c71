"""AWS: one model as an ECS service on Fargate behind a load balancer, made by a plain CloudFormation stack."""
