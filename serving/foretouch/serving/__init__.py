"""The decision: contact policy, scores, policy draw, send time, the service that answers, replay."""
