//! The order that is stored before the messages are sent.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::registers::{Order, Orders, USERS_IN_PART};

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[test]
fn the_digests_of_an_order_are_those_of_the_file_and_of_the_users_who_are_sent() {
    let text = format!("userId\n{B}\n{A}\n{B}\n");
    let input = open(&text, &Overlay::default());
    let checked = judge(&input, |_| None).unwrap();
    assert_eq!(checked.ids_sha256, sha256(&format!("{B}\n{A}\n")));
    assert_eq!(input.file_sha256(), Some(sha256(&text).as_str()));

    let utf_16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(A.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let input = open(&utf_16, &Overlay::default());
    let of_the_bytes = hex::encode(Sha256::digest(&utf_16));
    assert_eq!(input.file_sha256(), Some(of_the_bytes.as_str()));
    assert_eq!(
        judge(&input, |_| None).unwrap().ids_sha256,
        sha256(&format!("{A}\n"))
    );
}

#[tokio::test]
async fn each_message_names_the_part_of_the_order_that_names_its_user() {
    let id = |number: usize| format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
    let lines: Vec<String> = (0..=USERS_IN_PART).map(id).collect();
    let input = open(lines.join("\n"), &Overlay::default());
    let checked = judge(&input, |_| None).unwrap();
    let order = Order {
        ids_sha256: checked.ids_sha256.clone(),
        ..Order::sample(checked.users)
    };
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).unwrap();
    let placed = PlacedOrder::place(&store, &order, input.messages(&checked).unwrap())
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);

    let orders = Orders::default();
    let claimed = placed.claim(input.messages(&checked).unwrap());
    let claimed: Vec<Message> = claimed.map(Result::unwrap).collect();
    assert_eq!(claimed.len(), USERS_IN_PART + 1);
    for message in claimed {
        let name = message.request.order.unwrap();
        orders.check(&store, &name, message.user_id).await.unwrap();
    }
}
