//! Mints a key for a consumer: `key [ID] [PREFIX] [PEPPER]`. The key goes to who is to use it, the
//! entry to the configuration of ai-auth, which has only its hash.
// A tool for people talks to its terminal.
#![allow(clippy::print_stdout)]

use std::io::{Error, Read};

use ai_auth::key;
use shared::config::Secret;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().filter(|argument| !argument.is_empty());
    let mut random = [0; 40];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let (secret, name) = random.split_at(32);
    let made = || name.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = next().unwrap_or_else(made);
    if !key::is_id(&id) {
        return Err(Error::other("ID must have 1 to 64 letters, digits, `_` or `.`"));
    }
    let prefix = next().unwrap_or_else(|| "sk-aigw".into());
    let pepper = next().map(Secret::new);
    let secret = secret.try_into().map_err(Error::other)?;
    let key = key::mint(&prefix, &id, secret);
    println!("key:   {key}");
    println!("entry: {{\"id\": \"{id}\", \"hash\": \"{}\"}}", key::written(pepper.as_ref(), &key));
    Ok(())
}
