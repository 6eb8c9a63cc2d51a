//! Between protocols: each is read into and written from one hub ([`ir`]), so a further protocol is
//! one more folder and not one more pair with every other.

pub mod anthropic;
pub mod ir;
pub mod openai_chat;
