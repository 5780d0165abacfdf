"""What the plant hears of the parts and the line, by MQTT, Modbus TCP, OPC UA, webhook and Prometheus: a process of its own."""
