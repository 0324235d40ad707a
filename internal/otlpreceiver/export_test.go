package otlpreceiver

// CostOfBinary is for tests.
var CostOfBinary = costOfBinary
