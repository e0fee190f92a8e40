// The heartbeat's browser client.
export {};
