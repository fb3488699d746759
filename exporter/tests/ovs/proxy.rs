//! A socket between observer and switch that remembers what the observer says.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    /// The messages so far, as hexadecimal digits.
    pub(crate) fn messages(&self) -> Vec<String> {
        let said = self.0.lock().unwrap();
        let (mut rest, mut messages) = (said.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (message, others) = rest.split_at(length);
            let digits: Vec<_> = message.iter().map(|byte| format!("{byte:02x}")).collect();
            messages.push(digits.concat());
            rest = others;
        }
        messages
    }
}

/// Passes one connection after the other on to `switch`; returns where to connect.
pub(crate) fn start(folder: &Path, switch: PathBuf) -> (PathBuf, Said) {
    let (path, said) = (folder.join("proxy.sock"), Said::default());
    let listener = UnixListener::bind(&path).unwrap();
    let passed = said.clone();
    tokio::spawn(async move {
        loop {
            let (observer, _) = listener.accept().await.unwrap();
            let (mut from_observer, mut to_observer) = observer.into_split();
            let switch = UnixStream::connect(&switch).await.unwrap();
            let (mut from_switch, mut to_switch) = switch.into_split();
            let back = tokio::spawn(async move {
                tokio::io::copy(&mut from_switch, &mut to_observer).await.ok();
            });
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = from_observer.read(&mut buffer).await {
                passed.0.lock().unwrap().extend(&buffer[..count]);
                to_switch.write_all(&buffer[..count]).await.unwrap();
            }
            drop(to_switch);
            back.await.unwrap();
        }
    });
    (path, said)
}
