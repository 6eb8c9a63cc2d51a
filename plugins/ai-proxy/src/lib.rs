//! ai-proxy
