//! A few threads that read, each with a connection of its own: reads never wait for the writer, and never take more
//! threads than there are.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use store::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// So many reads may wait; who comes later waits before the queue.
const QUEUE: usize = 256;

type Read = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Debug)]
pub(crate) struct Readers {
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn start(connections: Vec<Connection>) -> std::io::Result<Readers> {
        let (queue, reads) = mpsc::channel::<Read>(QUEUE);
        let reads = Arc::new(Mutex::new(reads));
        let mut threads = Vec::new();
        for connection in connections {
            let reads = Arc::clone(&reads);
            let work = move || {
                loop {
                    // One thread waits for the next read, the others wait for their turn to wait.
                    let next = reads.lock().blocking_recv();
                    let Some(read) = next else { break };
                    read(&connection);
                }
            };
            threads.push(std::thread::Builder::new().name("store-read".to_owned()).spawn(work)?);
        }
        Ok(Readers { queue: Some(queue), threads })
    }

    /// Runs `work` on one of the threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Nobody waits any more: not an error.
            let _ = answer.send(work(connection).map_err(StoreError::from));
        });
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(read).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A panic was reported by the thread itself.
            let _ = thread.join();
        }
    }
}
