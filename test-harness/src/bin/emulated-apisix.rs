//! The emulated APISIX, for the end-to-end tests: `emulated-apisix MODULES CONTROL`.
//!
//! MODULES is the folder of the plugins, CONTROL an address. What is posted there, as JSON of
//! [`Settings`], starts a gateway; `{"stop": "127.0.0.1:9080"}` stops the one that listens there. So many
//! tests share modules that take seconds to compile. What would bring a real worker down ends the process,
//! with the reason.
// A tool for people talks to its terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;
use test_harness::apisix::{Server, Settings};
use test_harness::emulator::Module;

fn main() -> Result<(), Box<dyn Error>> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        // A thread that is gone would only make requests hang.
        std::process::abort();
    }));
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: emulated-apisix MODULES CONTROL";
    let folder = PathBuf::from(arguments.next().ok_or(usage)?);
    let listener = TcpListener::bind(arguments.next().ok_or(usage)?)?;
    println!("ready");
    let mut modules = HashMap::new();
    let mut servers: HashMap<SocketAddr, Server> = HashMap::new();
    for socket in listener.incoming() {
        let mut socket = socket?;
        let done = read(&socket).and_then(|asked| act(asked, &folder, &mut modules, &mut servers));
        let (status, text) = match done {
            Ok(()) => ("200 OK", String::new()),
            Err(error) => ("400 Bad Request", error.to_string()),
        };
        let length = text.len();
        let _ = write!(socket, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}");
    }
    Ok(())
}

fn read(socket: &TcpStream) -> Result<Value, Box<dyn Error>> {
    let mut from = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

fn act(
    asked: Value,
    folder: &Path,
    modules: &mut HashMap<String, Module>,
    servers: &mut HashMap<SocketAddr, Server>,
) -> Result<(), Box<dyn Error>> {
    if let Some(stop) = asked.get("stop").and_then(Value::as_str) {
        servers.remove(&stop.parse()?);
        return Ok(());
    }
    let settings: Settings = serde_json::from_value(asked)?;
    let listen = settings.listen;
    let mut load = |name: &str| {
        if !modules.contains_key(name) {
            modules.insert(name.to_owned(), Module::from_file(folder.join(name))?);
        }
        Ok(modules[name].clone())
    };
    servers.insert(listen, Server::start(settings, &mut load)?);
    Ok(())
}
