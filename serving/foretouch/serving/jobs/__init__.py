"""Jobs over everyone: scores for the CRM, reasons worked out ahead, the hand-off of leads."""
