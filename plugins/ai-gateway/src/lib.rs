//! ai-gateway
