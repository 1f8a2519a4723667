"""A shop to look at: a `FakeMayar` with two products, their reviews, and buyers yet to speak."""

from __future__ import annotations

from mayar_reviews.testing import FakeMayar

PRODUCTS = {
    "kelas-web-dasar": "Kelas Pemrograman Web Dasar",
    "resep-nusantara": "Resep Nusantara: 40 Masakan Rumah",
}
BUYERS = tuple(f"pembeli{number}@example.com" for number in range(1, 6))
PICTURES = "/static/demo/"

_REVIEWS = (
    (5, "Ni Luh Ayu", "Penjelasannya runtut dan contohnya dekat dengan pekerjaan sehari-hari."),
    (5, "Bagas Pratama", "Akhirnya paham flexbox dan grid. Terima kasih, Kak!"),
    (4, "Siti Rahmawati", "Materinya bagus.\nSaya berharap bab terakhir sedikit lebih panjang."),
    (5, "Agus Wijaya", None),
    (5, "Maria Lestari", "Proyek akhirnya saya pakai untuk toko ibu saya. Sudah dapat pesanan 🎉"),
    (3, "Dewi Anggraini", "Isinya benar, tetapi suara di video kedua agak pelan."),
    (5, "Rizky Hidayat", "Belajar dua minggu setelah pulang kerja, sekarang bisa membuat situs."),
    (5, "Tom Becker", "Clear, calm and practical. I followed it with subtitles."),
    (4, "Putri Maharani", "Latihannya banyak dan ada kunci jawabannya."),
    (5, "محمد الأمين", "دورة ممتازة، شكرا جزيلا"),
    (2, "Yohanes Siregar", "Untuk saya terlalu pelan. Mungkin cocok untuk yang baru mulai."),
    (5, "Indah Permata", "Sabar sekali mengajarnya. Pertanyaan saya dijawab di hari yang sama."),
)
_DAY = 86_400_000
_NEWEST = 1_795_000_000_000  # November 2026


def fake_mayar() -> FakeMayar:
    """A Mayar that knows the products; start it with `async with`."""
    fake = FakeMayar()
    for product_id, name in PRODUCTS.items():
        fake.add_product(product_id, name=name)
        for email in BUYERS:
            fake.add_purchase(product_id, email)
    for number in range(68):
        rating, name, message = _REVIEWS[number % len(_REVIEWS)]
        customer_id = fake.add_customer(f"pelanggan{number}@example.com", name=name)
        fake.add_review(
            "kelas-web-dasar",
            customerId=customer_id,
            rating=rating,
            message=message,
            createdAt=_NEWEST - number * 5 * _DAY // 2,
            multipleImage=_pictures(number),
            content=_videos(number),
        )
    return fake


def _pictures(number: int) -> list[dict[str, object]]:
    names = {4: ("toko.svg", "pesanan.svg"), 8: ("latihan.svg",)}.get(number % 12, ())
    return [
        {"id": name, "fileType": "svg", "description": None, "url": PICTURES + name}
        for name in names
    ]


def _videos(number: int) -> list[dict[str, object]]:
    if number % 12 != 6:
        return []
    file = {"id": "video", "filename": "situs-pertama.mp4", "mimetype": "video/mp4", "size": 5}
    return [{"id": "video", "value": "video", "file": file}]
