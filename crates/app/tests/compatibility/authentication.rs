//! Contract page 1, "Authentication".

use crate::client::{World, new_subscriber};
use crate::platform::PIM_URL;

#[test]
fn the_three_headers_in_every_spelling_that_makes_no_difference() {
    let world = World::new();
    let check = |headers: [(&str, &str); 3], status: u16| {
        let answer = world.raw("GET", "/api/v1/subscribers", &headers, "");
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
    };
    for url in [
        PIM_URL,
        "https://pim.example.com/",
        "https://PIM.Example.COM",
        "HTTPS://pim.example.com",
        "https://pim.example.com:443",
    ] {
        check([("X-PIM-URL", url), ("X-PIM-TOKEN", "token"), ("X-PIM-CLIENT-ID", "app")], 200);
    }
    for token in ["token", "Bearer token", "bearer token", "BEARER  token"] {
        check([("x-pim-url", PIM_URL), ("x-pim-token", token), ("x-pim-client-id", "app")], 200);
    }
    for url in
        ["https://other.example.com", "http://pim.example.com", "https://pim.example.com/shop", "pim.example.com", ""]
    {
        check([("X-PIM-URL", url), ("X-PIM-TOKEN", "token"), ("X-PIM-CLIENT-ID", "app")], 401);
    }
    check([("X-PIM-URL", PIM_URL), ("X-PIM-TOKEN", "wrong"), ("X-PIM-CLIENT-ID", "app")], 401);
    check([("X-PIM-URL", PIM_URL), ("X-PIM-TOKEN", "token"), ("X-PIM-CLIENT-ID", "other")], 401);
    let names = ["X-PIM-URL", "X-PIM-TOKEN", "X-PIM-CLIENT-ID"];
    for left_out in names {
        let all = [("X-PIM-URL", PIM_URL), ("X-PIM-TOKEN", "token"), ("X-PIM-CLIENT-ID", "app")];
        let some: Vec<_> = all.into_iter().filter(|(name, _)| *name != left_out).collect();
        let said = world.raw("GET", "/api/v1/subscribers", &some, "").messages(401);
        assert!(said[0].contains(left_out), "{said:?}");
    }
}

#[test]
fn clients_access_only_their_own_objects() {
    let world = World::new();
    let other = ("other", "other-token");
    let path = world.subscriber();
    assert_eq!(world.get("/subscribers").as_array().unwrap().len(), 1);
    assert_eq!(world.call_as(other, "GET", "/subscribers", None).json(200).as_array().unwrap().len(), 0);
    for method in ["GET", "DELETE"] {
        world.call_as(other, method, &path, None).messages(404);
    }
    world.call_as(other, "PATCH", &path, Some(&new_subscriber())).messages(404);
    world.call_as(other, "GET", &format!("{path}/subscriptions"), None).messages(404);
    assert_eq!(world.get(&path)["status"], "active");
}
